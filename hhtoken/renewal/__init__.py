"""A refresh token becomes a new pair: policy, exchange, judgement, recovery, report."""
