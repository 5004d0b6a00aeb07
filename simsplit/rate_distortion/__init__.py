"""Rate and distortion of trained networks against their baselines, over training seeds.

S. R. Alvar and I. V. Bajić, "Multi-task learning with compressible features for collaborative
intelligence", ICIP 2019 (arXiv 1902.05179), section 3: the 8-bit feature coded as PNG and as JPEG
gives a curve of every task's metric over the payload, and G. Bjøntegaard's delta (ITU-T VCEG-M33,
cubic polynomial) says how many bits the proposed network saves against the same network trained
without the loss.

* A network's numbers are the section ``rate_distortion`` of ``models/<name>/card.json``, and of
  ``models/<name>/seed<n>/card.json`` for further training seeds. The first one's seed is its
  recipe's. Anchor and test are paired seed by seed.
* A curve is PNG and JPEG of one network, by metric, without the points that another one beats
  (`simsplit.bd.operational`): near saturation the metric of a small test set wobbles. Other codecs
  are single points.
* Bjøntegaard's cubic goes through four points. Through a ladder of a dozen it is one by least
  squares, and where the metric saturates it passes by the points: it may be tens of per cent off,
  or of the wrong sign, where an interpolation (Akima) is within one or two. Both are told, and a
  note where they differ (tests/validation/test_rate_distortion.py has the true values).
* Both curves must share half of the anchor's range of the metric, else there is no delta.
* RMSE falls with the rate and IRMSE, one over it, rises; both have their delta.
"""
