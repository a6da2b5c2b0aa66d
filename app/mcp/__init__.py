"""The service's tools for agents, by the Model Context Protocol: `/mcp`."""
