"""Where everything meets: assembly, server, node, settings, the command line."""
