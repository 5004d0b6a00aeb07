"""What devices know, and the policies that choose a request's operating point by it."""
