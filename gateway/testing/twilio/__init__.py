"""A carrier made from Twilio's documents: it signs, follows TwiML, plays audio in real time, and keeps the truth."""
