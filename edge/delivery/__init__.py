"""From the outbox to an MQTT broker, and back into a subscriber's table."""
