"""The browser as a carrier: calls from the softphone, with the same stream as Twilio's."""
