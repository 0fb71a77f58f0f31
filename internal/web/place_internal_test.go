package web

import "testing"

func TestFormsOfTheirOwnPageKeepItsAddress(t *testing.T) {
	const own, other = `<form method="post" action="/.stepgate/sign-in?lang=cy&amp;x=1" novalidate>
<button type="submit" class="button">Go</button></form>`, `<form method="post" action="/.stepgate/sign-in/more"><button type="submit">Go</button></form>`
	got := string(keepPlace([]byte(own+other), "/.stepgate/sign-in"))
	want := `<form method="post" action="/.stepgate/sign-in?lang=cy&amp;x=1" novalidate>
<button type="submit" formaction="" class="button">Go</button></form>` + other
	if got != want {
		t.Errorf("got %s", got)
	}
}
