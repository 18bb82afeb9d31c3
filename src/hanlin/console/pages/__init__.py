"""One file per group of pages. A handler takes a `Visit` and answers; it asks the port and draws a template, no more."""
