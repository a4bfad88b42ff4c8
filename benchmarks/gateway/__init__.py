"""What it costs to have each request authorized: proxies with the check, against the same proxies without it."""
