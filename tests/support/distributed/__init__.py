"""Programs that train or measure in several processes or on several devices."""
