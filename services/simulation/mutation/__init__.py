"""Mutation tests of the decisions: whether some unit test fails for every small change of them."""
