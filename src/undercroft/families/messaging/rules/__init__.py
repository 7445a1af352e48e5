"""Stage rules: what happens to a subscription or an identity leads to another subscription, or ends one."""
