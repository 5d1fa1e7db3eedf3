"""What stands around every page: navigation, command palette, sign-in, policy, annotations, settings."""
