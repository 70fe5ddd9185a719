"""Ten thousand requests and their repeats while Redis fails: is each decided once?"""
