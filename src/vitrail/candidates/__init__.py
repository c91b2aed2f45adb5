"""Everything that is known of each backbone before the test labels are opened: options, recipes, heads, thresholds."""
