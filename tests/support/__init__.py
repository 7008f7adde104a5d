"""What several test files share: cases, oracles, contracts, child processes."""
