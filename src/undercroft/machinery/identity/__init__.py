"""Who comes in: users, teams, tokens with scopes."""
