"""OpenAI's dialect: other bodies and replies over the same jobs, so that its clients work here."""
