package simulation
import ("testing";"os";"testing/synctest")
func TestDebug(t *testing.T){ if os.Getenv("SEED")=="" {t.Skip()}
 synctest.Test(t, func(t *testing.T){ s:=newSchedule(number(t,"SEED",0),bug{}); t.Logf("%+v",s.shape)
 for _,h:=range s.alerts { t.Logf("%s skew %v %v", h.name,h.skew,h.episodes)}
 for i,m:=range s.messages(){ for _,a:=range m.alerts { t.Log(i,m.at,a.Status,a.Fingerprint,a.StartsAt.Sub(s.origin),a.EndsAt.Sub(s.origin))}}
 s.play(); for _,r:=range s.runs(){ for _,a:=range r.alerts {t.Log(r.id, s.since(r.claimed), a.fingerprint, s.since(a.at()))}; for _,c:=range r.commands{t.Log(c.id,c.by)}; for _,p:=range r.passes{t.Log(p.command.id,p.node,s.since(p.started),s.since(p.ended),p.code,p.killed)}}
 for _,v:=range s.check(){t.Log(v)}
 })
}
