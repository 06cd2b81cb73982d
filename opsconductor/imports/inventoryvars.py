"""Which variables hosts of an inventory have from which groups, by the rules of Ansible."""

from opsconductor.imports.inventory import Group, Inventory, Var


def effective(inventory: Inventory) -> dict[str, dict[str, Var]]:
    """By host the variables that Ansible gives it: hosts over groups, files over the inventory, near over far.

    Raises UsageError where that is more work than one import does.
    """
    depths = _depths(inventory)
    held_by = holding(inventory)
    found = {}
    for host in inventory.hosts.values():
        names = sorted(
            held_by[host.name], key=lambda name: (depths.get(name, 1), _priority(inventory.groups[name]), name)
        )
        groups = [inventory.groups[name] for name in ("all", *names)]
        merged: dict[str, Var] = {}
        for values in (*(one.vars for one in groups), *(one.files for one in groups), host.vars, host.files):
            inventory.work.spend(1 + len(values))
            merged |= values
        merged.pop("ansible_group_priority", None)
        found[host.name] = merged
    return found


def _priority(group: Group) -> int:
    value = {**group.vars, **group.files}.get("ansible_group_priority")
    try:
        return 1 if value is None else int(str(value.value)[:20])
    except ValueError:
        return 1


def _depths(inventory: Inventory) -> dict[str, int]:
    """How far each group is below `all`, by the longest way, as Ansible counts."""
    depths = dict.fromkeys(inventory.groups, 1)
    for _ in inventory.groups:
        changed = False
        for group in inventory.groups.values():
            inventory.work.spend(len(group.children))
            for child in group.children if group.name != "all" else ():
                if child in depths and depths[child] <= depths[group.name] < len(inventory.groups) + 1:
                    depths[child], changed = depths[group.name] + 1, True
        if not changed:
            break
    return depths


def holding(inventory: Inventory) -> dict[str, dict[str, int]]:
    """By host the groups that hold it, `all` left out, with how many steps away they are."""
    parents: dict[str, list[str]] = {}
    for group in inventory.groups.values():
        for child in group.children:
            parents.setdefault(child, []).append(group.name)
    found: dict[str, dict[str, int]] = {}
    direct = inventory.memberships()
    for host in inventory.hosts:
        steps = dict.fromkeys(direct[host], 0)
        waiting = list(steps)
        for name in waiting:
            inventory.work.spend(1 + len(parents.get(name, ())))
            for parent in parents.get(name, ()):
                if parent not in steps and parent != "all":
                    steps[parent] = steps[name] + 1
                    waiting.append(parent)
        found[host] = steps if steps else ({"ungrouped": 0} if "ungrouped" in inventory.groups else {})
    return found
