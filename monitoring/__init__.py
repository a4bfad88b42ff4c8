"""What the operator watches: rules, their tests, and the dashboard as code."""
