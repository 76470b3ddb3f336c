"""What tracks start from and what is solved from them: values in, points and maps out.

Solvers take coordinates that are centred and divided by the diagonal.
"""
