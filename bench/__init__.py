"""The harness: experiments as data, measured, stored and reported."""
