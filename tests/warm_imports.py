"""What a build of a network of timm and of an encoder imports, for processes that are forked from it."""

from generator.models.compat import repair_torchvision

repair_torchvision()

import mkdocs.commands.build  # noqa: E402, F401
import scipy.stats  # noqa: E402, F401
import timm  # noqa: E402, F401
import transformers.models.bert.modeling_bert  # noqa: E402, F401

import generator.build  # noqa: E402
import generator.single  # noqa: E402, F401
