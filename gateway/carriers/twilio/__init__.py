"""Twilio: webhooks, Media Streams, TwiML, REST."""
