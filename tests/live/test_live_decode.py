"""The decoder of weights in the browser, held against the one in Python bit for bit."""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pytest
from playwright.sync_api import Browser, Page
from small_site import CHECKOUT

from generator.live.pack import EXACT, RAW, WHOLE, packed, unpacked


@pytest.fixture(scope="module")
def script(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.add_script_tag(path=CHECKOUT / "site_src" / "javascripts" / "live-decode.js")
    yield page
    page.close()


def coded(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()


DECODE = """([text, tensors]) => {
  const tools = cutawayDecode();
  const packed = tools.base64(text);
  const total = tools.totals(tensors);
  if (total.bytes !== packed.length) return `${total.bytes} bytes, not ${packed.length}`;
  const floats = new Float32Array(total.floats);
  for (const tensor of tensors) tools.decode(tensor, packed, floats);
  const bytes = Array.from(new Uint8Array(floats.buffer), (one) => String.fromCharCode(one));
  return btoa(bytes.join(""));
}"""
CHECKSUM = """async ([text, zipped]) => {
  const tools = cutawayDecode();
  const bytes = tools.base64(text);
  return tools.crc32(zipped ? await tools.gunzip(bytes) : bytes);
}"""


def network() -> dict[str, np.ndarray]:
    """Tensors that take every codec: of 16 bits with a short last block, exact of 4 and 8 bits, vectors."""
    random = np.random.default_rng(4)
    wide = (random.normal(size=(515, 601)) * 10.0 ** random.integers(-6, 3, (515, 1))).astype(
        np.float32
    )
    wide[3] = 0
    exact = {}
    for name, top in (("nibbles", 15), ("bytes", 255)):
        step = random.random((4096, 1)).astype(np.float16)
        start = (-random.random((4096, 1)) * 5).astype(np.float16)
        whole = random.integers(0, top + 1, (4096, 32)).astype(np.float32)
        whole[:, :2] = 0, top  # so that a block names its range
        exact[name] = (step.astype(np.float32) * whole + start.astype(np.float32)).reshape(256, 512)
    bias = random.normal(size=7).astype(np.float32)
    exact["turned"] = np.ascontiguousarray(exact["nibbles"].T)
    return {"wide": wide, **exact, "bias": bias, "odd": np.float32([[1e-42, -0.0, 3.5]] * 11)}


def test_every_codec_gives_the_bits_that_python_gives(script):
    data, table = packed(network())
    assert {one.codec for one in table} == {RAW, WHOLE, EXACT}
    assert {one.bits for one in table if one.codec == EXACT} == {4, 8}
    assert [one.name for one in table if one.turned] == ["turned"]
    assert np.array_equal(
        unpacked(data, table)[table[3].at :][: table[3].count], network()["turned"].ravel()
    )
    tensors = [asdict(one) | {"shape": list(one.shape)} for one in table]
    found = script.evaluate(DECODE, [coded(data), tensors])
    expected = unpacked(data, table).astype("<f4")
    assert base64.b64decode(found) == expected.tobytes()
    # A control: one bit of one scale, and the numbers are others.
    wrong = data.copy()
    wrong[tensors[0]["start"]] ^= 1
    assert base64.b64decode(script.evaluate(DECODE, [coded(wrong), tensors])) != expected.tobytes()


def test_half_precision_is_that_of_numpy(script):
    """All 65,536 numbers, as steps of blocks of a single value 1 and start 0, and as starts."""
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every)]
    whole = np.zeros((len(every), 32), np.uint8)
    whole[:, 0] = 1
    data = every.tobytes() + np.zeros(len(every), np.float16).tobytes() + whole.tobytes()
    tensor = {"codec": EXACT, "bits": 8, "start": 0, "at": 0, "count": whole.size}
    found = script.evaluate(DECODE, [base64.b64encode(data).decode(), [tensor]])
    values = np.frombuffer(base64.b64decode(found), "<f4").reshape(-1, 32)[:, 0]
    assert np.array_equal(values, every.astype(np.float32))


def test_the_checksum_is_that_of_zlib_and_gzip_is_taken_apart(script):
    data = np.random.default_rng(0).bytes(100_001)
    text, zipped = (base64.b64encode(one).decode() for one in (data, gzip.compress(data)))
    assert script.evaluate(CHECKSUM, [text, False]) == zlib.crc32(data)
    assert script.evaluate(CHECKSUM, [zipped, True]) == zlib.crc32(data)
    script.evaluate(
        "() => { delete Uint8Array.fromBase64; }"
    )  # a browser that has no such function
    assert script.evaluate(CHECKSUM, [text, False]) == zlib.crc32(data)
