package legacytest

import (
	"fmt"
	"testing"
)

// StartNginx runs nginx over the files, and PHP behind it by FastCGI with the
// usual split of script and PATH_INFO.
func StartNginx(tb testing.TB) *Tree {
	tb.Helper()
	needs(tb, "nginx-light", "/usr/sbin/nginx")
	needs(tb, "php-cgi", "/usr/bin/php-cgi")
	t := newTree(tb)
	t.Front = "/front.php"
	put(tb, t.Dir, map[string]string{"docs/front.php": frontPHP})
	php := serve(tb, func(addr string) command {
		return command{
			name: "php-cgi", dir: t.Dir, user: webUser, env: []string{"PHP_FCGI_CHILDREN=2"},
			argv: []string{"/usr/bin/php-cgi", "-b", addr},
		}
	})
	return t.at(serve(tb, func(addr string) command {
		put(tb, t.Dir, map[string]string{"nginx.conf": fmt.Sprintf(`daemon off;
pid %[1]s/pid;
error_log stderr;
worker_processes 1;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	default_type text/plain;
	server {
		listen %[2]s;
		root %[1]s/docs;
		location ~ \.php(/|$) {
			fastcgi_split_path_info ^(.+\.php)(/.*)?$;
			fastcgi_param REQUEST_METHOD $request_method;
			fastcgi_param REQUEST_URI $request_uri;
			fastcgi_param QUERY_STRING $query_string;
			fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
			fastcgi_param SCRIPT_NAME $fastcgi_script_name;
			fastcgi_param PATH_INFO $fastcgi_path_info;
			fastcgi_param REDIRECT_STATUS 200;
			fastcgi_pass %[3]s;
		}
	}
}
`, t.Dir, addr, php)})
		return command{name: "nginx", dir: t.Dir, user: webUser, argv: []string{
			"/usr/sbin/nginx", "-e", "stderr", "-p", t.Dir, "-c", t.Dir + "/nginx.conf",
		}}
	}))
}
