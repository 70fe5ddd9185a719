"""A registration day played through the HTTP ingress, as its students' programs would."""
