from csroute.policy.policy import Finding, Policy


def check(policy: Policy) -> list[Finding]:
    return []
