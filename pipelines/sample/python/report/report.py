"""Renders the monthly report from a template that ships with the program."""

TEMPLATE = "Orders of {{ month }}: {{ orders|length }}"


def render(month, orders):
    from jinja2 import Template

    return Template(TEMPLATE).render(month=month, orders=orders)
