"""What people write: articles, lectures and the guide, Markdown with Jinja whose figures are drawn here."""
