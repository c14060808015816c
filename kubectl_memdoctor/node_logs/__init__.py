"""Files and streams of node logs -> what they tell, in one pass and constant memory."""
