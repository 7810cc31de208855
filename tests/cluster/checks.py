"""What must hold of the history, whatever a test has done to the cluster."""

from collections import defaultdict


def no_token_was_sent_by_two_hosts(cluster):
    senders = defaultdict(set)
    for host, token in cluster.asked():
        senders[token].add(host)
    assert all(len(hosts) == 1 for hosts in senders.values()), dict(senders)


def reads_never_go_back(reads):
    """``reads``: {host: [generation]} as it was read, in order."""
    for host, generations in reads.items():
        assert generations == sorted(generations), (host, generations)


def every_pair_follows_from_the_one_before(cluster):
    """There is one line of pairs: none was renewed twice, and none was lost."""
    answers = [one for one in cluster.history() if one["event"] == "answered"]
    renewals = [(one["spent"], one["issued"]) for one in answers if one["spent"] and one["issued"]]
    assert len({spent for spent, _new in renewals}) == len(renewals), "a refresh token was renewed twice"
    for (_spent, new), (spent, _new) in zip(renewals, renewals[1:]):
        assert new == spent, "the line of pairs is broken"


def each_expiry_is_one_request(cluster):
    """No refresh was sent too early, or by more than one host, and none is missing in the line of pairs."""
    answers = [one for one in cluster.history() if one["event"] == "answered" and one["spent"]]
    assert answers and all(one["issued"] for one in answers), answers
    assert len(answers) == len(cluster.asked())
    every_pair_follows_from_the_one_before(cluster)
