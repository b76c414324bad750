"""The pages that people open in a browser. No build step, no foreign host, no inline script or style."""
