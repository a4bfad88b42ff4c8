"""The comparison as people read it: tables, plots, one HTML page, and the generated parts of a document."""
