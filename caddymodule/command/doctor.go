package command

import (
	"fmt"
	"net"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/internal/doctor"
	"github.com/stepgate/stepgate/policy/author"
)

// buildDoctor draws
//
//	doctor [--site HOST] [--connect HOST:PORT] [--insecure]
func buildDoctor(cmd *cobra.Command) {
	cmd.Long = "Asks the running sites of the configuration what an attacker would ask them, and reads the\n" +
		"configuration as an auditor would. It signs nobody in, guesses nothing and changes nothing.\n\n" +
		"A site is asked at its origin; --connect names where to connect instead, for a gateway that\n" +
		"is not reached by that name yet. Run it on the machine of the application behind the gateway: it looks\n" +
		"whether that opens its port to others. Exits 1 where something has to be mended."
	configFlags(cmd)
	cmd.Flags().String("site", "", "the `host` of one site; default all")
	cmd.Flags().String("connect", "", "connect to this `address`, HOST:PORT or unix/PATH, whatever the site's name leads to")
	cmd.Flags().Bool("insecure", false, "take any certificate")
	run := leaf(cmd.Use, cmd.Short, cobra.NoArgs, examine)
	cmd.Args, cmd.RunE, cmd.DisableFlagsInUseLine = run.Args, run.RunE, true
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return fail(c, usagef("%s", err)) })
}

func examine(c *cobra.Command, _ []string) error {
	d, err := drawConfigured(c)
	if err != nil {
		return err
	}
	sites := d.Sites()
	if host := flagText(c, "site"); host != "" {
		one, err := author.Choose(sites, host)
		if err != nil {
			return usagef("%s", err)
		}
		sites = []*author.Site{one}
	}
	p := newPrinter(c)
	findings := 0
	tell := func(results ...doctor.Result) error {
		for _, r := range results {
			if r.Verdict == doctor.Finding {
				findings++
			}
			if err := printResult(p, r); err != nil {
				return err
			}
		}
		return nil
	}
	audited, err := auditConfiguration(c, d)
	if err != nil {
		return err
	}
	if err := tell(audited...); err != nil {
		return err
	}
	insecure, _ := c.Flags().GetBool("insecure")
	for _, site := range sites {
		prober := doctor.Prober{Site: site, Now: time.Now(), Connect: flagText(c, "connect"), Insecure: insecure}
		results, err := prober.Examine(c.Context())
		if err != nil {
			return err
		}
		if err := tell(results...); err != nil {
			return err
		}
	}
	if findings > 0 {
		return fmt.Errorf("%s to be mended", counted(findings))
	}
	return nil
}

// auditConfiguration looks at what stands in it and beside it.
func auditConfiguration(c *cobra.Command, d Drawing) ([]doctor.Result, error) {
	linted, err := d.Lint()
	if err != nil {
		return nil, err
	}
	var results []doctor.Result
	for _, f := range linted {
		verdict := doctor.Finding
		if f.Note {
			verdict = doctor.Note
		}
		text := f.Text
		if f.File != "" {
			text = fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
		}
		results = append(results, doctor.Result{Check: f.Code, Verdict: verdict, Site: f.Site, Text: text, Mend: f.Mend})
	}
	upstreams, err := d.Upstreams()
	if err != nil {
		return nil, err
	}
	for _, upstream := range upstreams {
		results = append(results, doctor.Around(c.Context(), upstream))
	}
	config, err := loadConfiguration(c)
	if err != nil {
		return nil, err
	}
	return append(results, adminEndpoint(config.admin), running(c, config)), nil
}

// adminEndpoint tells who can change the configuration.
func adminEndpoint(address string) doctor.Result {
	r := doctor.Result{Check: "admin-endpoint", Verdict: doctor.OK, Text: "no network reaches Caddy's admin endpoint"}
	parsed, err := caddy.ParseNetworkAddress(address)
	if address == "" || err == nil && parsed.IsUnixNetwork() {
		return r
	}
	r.Mend = "use `admin unix//run/stepgate/admin.sock`, which the file's permissions guard"
	if err == nil && (parsed.Host == "localhost" || net.ParseIP(parsed.Host).IsLoopback()) {
		r.Verdict = doctor.Note
		r.Text = fmt.Sprintf("every program on this machine, the application behind the gateway among them, can change the configuration at %s", address)
		return r
	}
	r.Verdict = doctor.Finding
	r.Text = fmt.Sprintf("the admin endpoint listens at %s: whoever reaches that can switch the gateway off", address)
	return r
}

// running tells whether the gateway of this configuration answers commands.
func running(c *cobra.Command, config *Configuration) doctor.Result {
	r := doctor.Result{Check: "commands", Verdict: doctor.Note, Text: "no running gateway answers commands for the store " + config.Store,
		Mend: "without one, commands act on the store itself, and sessions in memory hear of it a second later"}
	if config.admin == "" {
		return r
	}
	if g, err := newGateway(config.admin, config.Store); err == nil && g.answers(c.Context()) {
		return doctor.Result{Check: "commands", Verdict: doctor.OK, Text: "the running gateway answers commands"}
	}
	return r
}

func printResult(p printer, r doctor.Result) error {
	if p.json {
		return p.object(r)
	}
	line := fmt.Sprintf("%-8s %-16s %s", r.Verdict, r.Check, r.Text)
	if r.Site != "" {
		line += " (" + r.Site + ")"
	}
	if r.Mend != "" && r.Verdict != doctor.OK {
		line += "; " + r.Mend
	}
	return p.print(nil, "%s", line)
}

func counted(findings int) string {
	if findings == 1 {
		return "1 thing has"
	}
	return fmt.Sprintf("%d things have", findings)
}
