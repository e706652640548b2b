"""One file for each question that can be asked of a model: measurements, figures, tables, sections."""
