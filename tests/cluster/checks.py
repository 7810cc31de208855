"""What must hold of the history, whatever a test has done to the cluster."""


def no_token_was_sent_by_two_hosts(cluster):
    """Not while what the first one has sent may still be answered: then the second may be told that it is spent, and
    ask a human for nothing."""
    last = {}
    for one in cluster.history():
        if one["event"] == "asked" and one["spent"]:
            host, at = last.get(one["spent"], (one["host"], 0))
            assert host == one["host"] or one["at"] - at > cluster.flight_seconds - 1, (one, host, at)
            last[one["spent"]] = one["host"], one["at"]


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
