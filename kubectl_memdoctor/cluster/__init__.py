"""Where objects come from: a live cluster (`api`) or a recording (`recording`)."""
