"""A page over the built samples: what the model gets, what it should say, and where it is from."""

from mmicl.browse.page import View, open_view, write_alone
from mmicl.browse.samples import Choice, parse_choice
from mmicl.browse.server import make_server

__all__ = ["Choice", "View", "make_server", "open_view", "parse_choice", "write_alone"]
