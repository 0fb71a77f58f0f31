package policy

import "errors"

// riskCondition is `risk low|medium|high`: at least that.
type riskCondition struct{ least Risk }

var errNoRisk = errors.New("policy: the risk is not known")

func compileRisk(c ConditionConfig) (Condition, error) {
	if len(c.Args) == 1 {
		if least, ok := ParseRisk(c.Args[0]); ok {
			return riskCondition{least}, nil
		}
	}
	return nil, errors.New("expected `risk low`, `risk medium` or `risk high`")
}

func (k riskCondition) Holds(r *Request) (bool, error) {
	if r.Risk < RiskLow || r.Risk > RiskHigh {
		return false, errNoRisk
	}
	return r.Risk >= k.least, nil
}

func (k riskCondition) Reason() string { return ReasonRisk }
