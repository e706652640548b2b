"""One file for each kind of page: sections of techniques -> template context -> a page."""
