package legacytest

import (
	"fmt"
	"testing"
)

const tomcatHome = "/usr/share/tomcat10"

// StartTomcat runs Tomcat 10 with its default servlet over the files, path
// parameters and all, encoded slashes decoded; the front program is a servlet
// mapped to /front/*. A connection may change to HTTP/2 in the clear. It takes
// some seconds.
func StartTomcat(tb testing.TB) *Tree {
	tb.Helper()
	needs(tb, "tomcat10", tomcatHome+"/bin/bootstrap.jar")
	needs(tb, "default-jre-headless", "/usr/bin/java")
	t := newTree(tb)
	t.Front = "/front"
	makeDirs(tb, t.Dir, "logs", "work", "temp", "webapps")
	put(tb, t.Dir, map[string]string{
		"conf/web.xml": tomcatWebXML,
		"docs/WEB-INF/web.xml": `<?xml version="1.0" encoding="UTF-8"?>
<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0" metadata-complete="true">
	<servlet><servlet-name>front</servlet-name><jsp-file>/WEB-INF/front.jsp</jsp-file></servlet>
	<servlet-mapping><servlet-name>front</servlet-name><url-pattern>/front/*</url-pattern></servlet-mapping>
</web-app>
`,
		"docs/WEB-INF/front.jsp": `<%@ page contentType="text/plain; charset=UTF-8" trimDirectiveWhitespaces="true" %><%
String info = request.getPathInfo() == null ? "" : request.getPathInfo();
out.print("path_info=[" + info + "]\n");
java.io.InputStream in = info.startsWith("/WEB-INF") || info.isEmpty() ? null : application.getResourceAsStream(info);
if (in != null) { out.print(new String(in.readAllBytes(), "UTF-8")); }
%>`,
	})
	return t.at(serve(tb, func(addr string) command {
		put(tb, t.Dir, map[string]string{"conf/server.xml": fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<Server port="-1">
	<Service name="Catalina">
		<Connector address="127.0.0.1" port="%s" protocol="HTTP/1.1" maxThreads="8" encodedSolidusHandling="decode">
			<UpgradeProtocol className="org.apache.coyote.http2.Http2Protocol" />
		</Connector>
		<Engine name="Catalina" defaultHost="localhost">
			<Host name="localhost" appBase="webapps" autoDeploy="false" deployOnStartup="false">
				<Context path="" docBase="%s/docs" />
			</Host>
		</Engine>
	</Service>
</Server>
`, portOf(addr), t.Dir)})
		return tomcat(t.Dir)
	}))
}

// tomcatWebXML is what every application has besides its own.
const tomcatWebXML = `<?xml version="1.0" encoding="UTF-8"?>
<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0">
	<servlet>
		<servlet-name>default</servlet-name>
		<servlet-class>org.apache.catalina.servlets.DefaultServlet</servlet-class>
	</servlet>
	<servlet>
		<servlet-name>jsp</servlet-name>
		<servlet-class>org.apache.jasper.servlet.JspServlet</servlet-class>
	</servlet>
	<servlet-mapping><servlet-name>default</servlet-name><url-pattern>/</url-pattern></servlet-mapping>
	<servlet-mapping><servlet-name>jsp</servlet-name><url-pattern>*.jsp</url-pattern></servlet-mapping>
</web-app>
`

// tomcat runs what the folder's conf/server.xml says.
func tomcat(dir string) command {
	return command{name: "tomcat", dir: dir, user: webUser, argv: []string{
		"/usr/bin/java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Djava.io.tmpdir=" + dir + "/temp",
		"-Dcatalina.home=" + tomcatHome, "-Dcatalina.base=" + dir, "-Djava.security.egd=file:/dev/urandom",
		"-cp", tomcatHome + "/bin/bootstrap.jar:" + tomcatHome + "/bin/tomcat-juli.jar",
		"org.apache.catalina.startup.Bootstrap", "start",
	}}
}
