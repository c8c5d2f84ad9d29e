"""The shell every page and JSON route shares: language, layout, problems, CSRF, headers, dependencies. No business."""
