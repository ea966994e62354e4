"""The Python interface: the functions of `import goldwash`, and the steps for datatrove.

Invariants:

* No second implementation: these modules build and call the same stages, recipes and runs as the command line.
* Nothing else in goldwash imports this room, except `goldwash/__init__.py` and `goldwash/datatrove.py`.
* pandas, Polars and datasets are recognised by type name and are never imported unless the caller has imported them.
"""
