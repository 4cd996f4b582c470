raise SystemExit("canary-wrong-J5tXw1bM")
