package caddymodule

import (
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/stepgate/stepgate/internal/gate"
	"github.com/stepgate/stepgate/policy"
)

func TestALevelThatAsksQuestionsIsNamedAtEachStart(t *testing.T) {
	asking := policy.LevelConfig{Name: "known", Accept: [][]policy.Factor{{policy.TOTP}, {policy.SMS, policy.SecurityQuestions}}}
	compiled, err := policy.Compile(&policy.Config{Levels: []policy.LevelConfig{asking}}, policy.CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.WarnLevel)
	h := &Handler{gate: gate.Handler{Policy: compiled}, logger: zap.New(core)}
	h.warnAboutQuestions()
	if all := logs.All(); len(all) != 1 || !strings.Contains(all[0].Message, "6.4.2") || all[0].ContextMap()["level"] != "known" {
		t.Errorf("logged %+v", all)
	}
}
