"""A Home Assistant with a smart meter, to look at without installing anything."""
