"""The Python interface: what `import goldwash` offers to scripts and notebooks, and the steps for datatrove.

Invariants:

* Nothing is done twice: these modules build the same stages, recipes and runs as the command line, and call them.
* Nothing else in goldwash imports this room, except `goldwash/__init__.py` and `goldwash/datatrove.py`.
* pandas, Polars and datasets are recognised by type name and are never imported unless the caller has imported them.
"""
