"""From the suite's JSON to what people read: tables in two READMEs, and figures.

python -m bench.report RESULTS.json [MORE.json ...]
"""
