"""Public doubles of what nobody here has an account for, written from the documents: Twilio, and a realtime model."""
