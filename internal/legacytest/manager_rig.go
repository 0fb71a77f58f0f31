package legacytest

import (
	"fmt"
	"testing"
)

const managerCode = "/usr/share/tomcat10-admin/manager"

// StartTomcatManager runs Debian's Tomcat 10 with its manager at /manager,
// which asks with HTTP Basic. admin may use its pages and its text interface,
// joe sees its status alone. It takes some seconds.
func StartTomcatManager(tb testing.TB, _ Options) *App {
	tb.Helper()
	needs(tb, "tomcat10", tomcatHome+"/bin/bootstrap.jar")
	needs(tb, "tomcat10-admin", managerCode+"/WEB-INF/web.xml")
	needs(tb, "default-jre-headless", "/usr/bin/java")
	dir := newDir(tb)
	accounts := []Account{{"admin", "cat-Pass1"}, {"joe", "cat-Pass2"}}
	makeDirs(tb, dir, "logs", "work", "temp", "webapps", "docs")
	put(tb, dir, map[string]string{
		"conf/web.xml": tomcatWebXML,
		"conf/users.xml": fmt.Sprintf(`<tomcat-users>
	<user username="%s" password="%s" roles="manager-gui,manager-script" />
	<user username="%s" password="%s" roles="manager-status" />
</tomcat-users>
`, accounts[0].Username, accounts[0].Password, accounts[1].Username, accounts[1].Password),
	})
	addr := serve(tb, func(addr string) command {
		put(tb, dir, map[string]string{"conf/server.xml": fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<Server port="-1">
	<Service name="Catalina">
		<Connector address="127.0.0.1" port="%s" protocol="HTTP/1.1" maxThreads="8" />
		<Engine name="Catalina" defaultHost="localhost">
			<Realm className="org.apache.catalina.realm.MemoryRealm" pathname="%s/conf/users.xml" />
			<Host name="localhost" appBase="webapps" autoDeploy="false" deployOnStartup="false">
				<Context path="/manager" docBase="%s" privileged="true" />
			</Host>
		</Engine>
	</Service>
</Server>
`, portOf(addr), dir, managerCode)})
		return tomcat(dir)
	})
	RawGet(tb, addr, "/manager/status") // its refusal is a page that Tomcat compiles first
	return &App{Server: Server{URL: "http://" + addr, Addr: addr, Dir: dir}, Accounts: accounts}
}
